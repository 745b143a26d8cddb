"""FireWorks: submission and the resident worker."""
