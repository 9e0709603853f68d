"""The generated CRDs: up to date, described and bounded throughout."""

from pathlib import Path

from carbonaware_operator.api import crds

FOLDER = Path(__file__).parents[2] / "crds"
ROOT_FIELDS = {"apiVersion", "kind", "metadata"}  # the API server describes these itself


def schema_of(document):
    """The schema of a CRD's one version."""
    (version,) = document["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def nodes(schema, path=""):
    """(path, schema) of every property, item and value below a schema."""
    for name, below in (schema.get("properties") or {}).items():
        yield f"{path}.{name}", below
        yield from nodes(below, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield f"{path}[]", schema[key]
            yield from nodes(schema[key], f"{path}[]")


FIELDS = {
    f"{document['spec']['names']['kind']}{path}": node
    for document in crds.documents().values()
    for path, node in nodes(schema_of(document))
    if path.removeprefix(".") not in ROOT_FIELDS
}


def fields_of(kind):
    """Path -> schema of every field of a type."""
    return {path: node for path, node in FIELDS.items() if node["type"] == kind}


class TestDrift:
    def test_the_files_are_those_that_the_models_make(self):
        """`make generate` has been run since the models changed."""
        written = {path.name: path.read_text() for path in FOLDER.glob("*.yaml")}

        assert crds.rendered() == written


class TestSchema:
    def test_describes_every_field(self):
        """`kubectl explain` reads well down to the last field."""
        named = {path: node for path, node in FIELDS.items() if not path.endswith("[]")}

        assert [] == [p for p, node in named.items() if not node.get("description")]

    def test_bounds_every_string(self):
        """The cost of a rule is estimated from the longest text: without bound it is refused."""
        strings = fields_of("string").items()

        assert [] == [p for p, node in strings if not {"maxLength", "enum"} & node.keys()]

    def test_bounds_every_list_and_says_how_it_merges(self):
        """An unbounded list has no cost estimate; one without type merges as nobody expects."""
        wanted = {"maxItems", "x-kubernetes-list-type"}

        assert [] == [p for p, node in fields_of("array").items() if not wanted <= node.keys()]

    def test_bounds_every_map(self):
        """A map is a list of names."""
        maps = {p: node for p, node in FIELDS.items() if "additionalProperties" in node}

        assert [] == [p for p, node in maps.items() if "maxProperties" not in node]

    def test_bounds_every_number_or_gives_it_64_bits(self):
        """No field holds a number that its reader cannot."""
        numbers = fields_of("integer").items()

        assert [] == [
            p
            for p, node in numbers
            if node.get("format") != "int64" and not {"minimum", "maximum"} <= node.keys()
        ]

    def test_has_no_float(self):
        """Sums of floats depend on their order."""
        assert {} == fields_of("number")

    def test_has_no_default(self):
        """A default cannot be told from a user's value."""
        assert [] == [p for p, node in FIELDS.items() if "default" in node]
