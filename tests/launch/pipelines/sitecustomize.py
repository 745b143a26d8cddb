"""Updates by pipelines, which the Java server of the tests does not know, from this side.

jobflow-remote's locks are such updates. One process uses them here, so that reading before writing
is as good as the server's own atomic step; on a MongoDB nothing of this is loaded.
"""

from pymongo.collection import Collection

_plain = Collection.find_one_and_update


def value(expression, document):
    if isinstance(expression, str) and expression.startswith("$"):
        return document.get(expression[1:])
    if not isinstance(expression, dict) or len(expression) != 1:
        return expression
    ((operator, given),) = expression.items()
    if operator == "$cond":
        return value(given["then" if value(given["if"], document) else "else"], document)
    if operator in ("$eq", "$gt"):
        left, right = (value(part, document) for part in given)
        return left == right if operator == "$eq" else left is not None and right is None
    return expression


def find_one_and_update(self, filter, update, *given, **options):
    if isinstance(update, list):
        found = self.find_one(filter, sort=options.get("sort"))
        if found is None:
            return None
        ((operator, values),) = update[0].items()
        filter = {"_id": found["_id"]}
        update = {operator: {name: value(of, found) for name, of in values.items()}}
    return _plain(self, filter, update, *given, **options)


Collection.find_one_and_update = find_one_and_update
