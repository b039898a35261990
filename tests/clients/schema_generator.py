# SPDX-License-Identifier: Apache-2.0
"""Random JSON Schemas of the keywords that plait enforces (docs/server.md). The same seed makes the same schema."""
import random
import string

FORMATS = ["date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"]
NAMES = ["a", "b", "ab", "name", "a b", "é", "x\"y", "$ref", "type", "\u00df/~1", "id", "kind"]
PATTERN_PARTS = ["a", "[a-f]", "\\d", "[^a-z\"]", "(ab|c)", "é", "\\.", "\\\\", "[\\w-]", "x{2,3}", "(?:yes|no)?", "0*",
                 "\"", "\\u00e9", "."]
DEPTH_MAX = 4


class SchemaGenerator:
    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.definitions: dict = {}

    def schema(self) -> dict:
        """A whole document."""
        names = self.random.sample(["node", "leaf", "p/q"], self.random.choice([0, 0, 1, 2]))
        self.definitions = dict.fromkeys(names)
        for name in names:
            self.definitions[name] = self._object(2)
        document = self._any(0)
        if names and isinstance(document, dict):
            document["$defs"] = self.definitions
        if self.random.random() < 0.2:
            document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
        return document

    def _any(self, depth: int) -> dict:
        simple = [self._string, self._number, self._integer, self._constants, self._types]
        deep = [self._object, self._object, self._array, self._tuple, self._any_of, self._one_of, self._all_of,
                self._required_any_of]
        make = self.random.choice(simple if depth >= DEPTH_MAX else simple + deep)
        schema = make(depth + 1)
        if self.random.random() < 0.1:
            schema["description"] = "says nothing"
        return schema

    def _some(self, most: int) -> int:
        return self.random.randint(0, most)

    def _chance(self, share: float) -> bool:
        return self.random.random() < share

    def _string(self, _) -> dict:
        schema = {"type": "string"}
        kind = self._some(4)
        if kind == 0:
            schema["pattern"] = self._pattern()
        elif kind == 1:
            schema["format"] = self.random.choice(FORMATS)
        elif kind == 2:
            schema["minLength"] = self._some(5)
            schema["maxLength"] = schema["minLength"] + self._some(60)
        elif kind == 3:
            schema["maxLength"] = self._some(20)
        return schema

    def _pattern(self) -> str:
        text = "".join(self.random.choice(PATTERN_PARTS) + self.random.choice(["", "", "?", "{1,3}"])
                       if part != "0*" else part
                       for part in self.random.choices([p for p in PATTERN_PARTS if p[-1] not in "}?"] + ["0*"],
                                                       k=self.random.randint(1, 5)))
        return self.random.choice(["^", ""]) + text + self.random.choice(["$", ""])

    def _bound(self) -> float:
        return self.random.choice([0, 1, -1, 5, 10, 99, -100, 1000, 0.5, -0.5, 2.25, 1e-3, 1e6, -7.125, 123456789])

    def _number(self, _) -> dict:
        schema = {"type": "number"}
        low, width = self._bound(), self.random.choice([0, 1, 0.25, 10, 1e4])
        if self._chance(0.6):
            schema[self.random.choice(["minimum", "exclusiveMinimum"])] = low
        if self._chance(0.6):
            schema["maximum" if width == 0 or self._chance(0.5) else "exclusiveMaximum"] = low + width
            if width == 0:
                schema.pop("exclusiveMinimum", None)
        return schema

    def _integer(self, _) -> dict:
        schema = {"type": "integer"}
        low = self.random.randint(-2000, 2000)
        kind = self._some(5)
        if kind == 0:
            schema["multipleOf"] = self.random.randint(1, 100)
        elif kind == 1:
            schema |= {"multipleOf": self.random.randint(1, 40), "minimum": low, "maximum": low + 50}
        elif kind == 2:
            schema |= {"multipleOf": self.random.randint(1, 100), "minimum": 0}
        elif kind < 5:
            schema[self.random.choice(["minimum", "exclusiveMinimum"])] = low
            if self._chance(0.7):
                schema[self.random.choice(["maximum", "exclusiveMaximum"])] = low + 2 + self._some(5000)
        return schema

    def _types(self, _) -> dict:
        types = self.random.sample(["string", "number", "integer", "boolean", "null"], self.random.randint(1, 3))
        return {"type": types if len(types) > 1 or self._chance(0.2) else types[0]}

    def _value(self, depth: int = 0):
        kind = self._some(7 if depth < 2 else 5)
        if kind == 0:
            return None
        if kind == 1:
            return self._chance(0.5)
        if kind == 2:
            return self.random.randint(-10**6, 10**6)
        if kind == 3:
            return self.random.choice([0.5, -2.25, 3.0, 1e-7])
        if kind < 6:
            return "".join(self.random.choices(string.printable + "éß€😀", k=self._some(8)))
        if kind == 6:
            return [self._value(depth + 1) for _ in range(self._some(3))]
        return {name: self._value(depth + 1) for name in self.random.sample(NAMES, self._some(2))}

    def _constants(self, _) -> dict:
        if self._chance(0.3):
            return {"const": self._value()}
        return {"enum": [self._value() for _ in range(self.random.randint(1, 6))]}

    def _reference(self, name: str) -> dict:
        return {"$ref": "#/$defs/" + name.replace("~", "~0").replace("/", "~1")}

    def _object(self, depth: int) -> dict:
        schema = {"type": "object", "properties": {}}
        names = self.random.sample(NAMES, self._some(4))
        for name in names:
            schema["properties"][name] = self._any(depth)
        schema["required"] = [name for name in names if self._chance(0.5)]
        if self.definitions and self._chance(0.4):  # never required, so that there is an end
            schema["properties"]["ref"] = self._reference(self.random.choice(list(self.definitions)))
        kind = self._some(5)
        if kind == 0:
            schema["additionalProperties"] = self._any(DEPTH_MAX)
        elif kind < 4:
            schema["additionalProperties"] = kind == 1 and self._chance(0.5)
        if not schema["required"] and self._chance(0.5):
            del schema["required"]
        return schema

    def _array(self, depth: int) -> dict:
        schema = {"type": "array", "items": self._any(depth)}
        if self._chance(0.5):
            schema["minItems"] = self._some(3)
        if self._chance(0.5):
            schema["maxItems"] = schema.get("minItems", 0) + self._some(4)
        if "minItems" not in schema and self.definitions and self._chance(0.3):
            schema["items"] = self._reference(self.random.choice(list(self.definitions)))
        return schema

    def _tuple(self, depth: int) -> dict:
        schema = {"type": "array", "prefixItems": [self._any(depth) for _ in range(self.random.randint(1, 3))]}
        if self._chance(0.6):
            schema["items"] = self.random.choice([False, {"type": "integer"}])
        if self._chance(0.5):
            schema["minItems"] = self._some(len(schema["prefixItems"]))
        return schema

    def _any_of(self, depth: int) -> dict:
        return {"anyOf": [self._any(depth) for _ in range(self.random.randint(1, 3))]}

    def _required_any_of(self, depth: int) -> dict:
        properties = {name: self._any(depth) for name in self.random.sample(NAMES, 2)}
        return {"type": "object", "properties": properties, "additionalProperties": False,
                "anyOf": [{"required": [name]} for name in properties]}

    def _one_of(self, depth: int) -> dict:
        if self._chance(0.5):
            return {"oneOf": [{"type": "string"}, {"type": "integer"}, self._array(depth)]}
        parts = []
        for kind in self.random.sample(["circle", "square", "line"], 2):
            part = self._object(depth)
            part["properties"] = {"tag": {"const": kind}} | part["properties"]
            part["required"] = ["tag"] + part.get("required", [])
            parts.append(part)
        return {"oneOf": parts}

    def _all_of(self, depth: int) -> dict:
        parts = []
        for names in (["left", "l"], ["right", "r"]):
            part = {"type": "object", "properties": {name: self._any(depth) for name in names}}
            if self._chance(0.7):
                part["required"] = names[:1]
            parts.append(part)
        return {"allOf": parts}
