"""Structure → (rotations, weights): what makes an unconstrained model rotationally exact."""
