"""Makes the header of what crosses to the engine: ``python make_schema.py SCHEMA.py HEADER.hpp``.

The schema is read as text, so that neither NumPy nor the package need be there. The header holds enumerations, limits,
the names of plain entries, and for each class of arrays a list in the form of a macro, ``QTM_..._ARRAYS(X)`` with
X(scalar, name), which declares fields, assigns them, or links views to them.
"""

import ast
import re
import sys
from pathlib import Path

SCALARS = {"Doubles": "double", "Ints": "int32_t", "Longs": "int64_t", "Masks": "uint32_t", "Flags": "uint8_t"}


def words(name):
    """RunArrays: ["run", "arrays"]."""
    return [word.lower() for word in re.findall(r"[A-Z][a-z]*", name)]


def fields_of(classes, name):
    """Annotated names of a class, after those of its bases, in order."""
    node = classes.get(name)
    if node is None:
        return {}
    fields = {}
    for base in node.bases:
        fields |= fields_of(classes, ast.unparse(base))
    return fields | {one.target.id: ast.unparse(one.annotation) for one in node.body if isinstance(one, ast.AnnAssign)}


def macro(name, arguments):
    """A list as a macro that is handed what to do with each entry."""
    return f"#define {name}(X) \\\n" + " \\\n".join(f"    X({one})" for one in arguments)


def header(text):
    """The header of a schema, both as text."""
    tree = ast.parse(text)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    lines = [
        "// Made of src/qiskit_torch_module/_core/schema.py by make_schema.py.",
        "#pragma once",
        "",
        "#include <cstdint>",
        "",
    ]
    enums, keys = [], {}
    for name, node in classes.items():
        if "IntEnum" in map(ast.unparse, node.bases):
            prefix = words(name)[0]
            values = [
                f"{prefix}_{one.targets[0].id.lower()} = {one.value.value}"
                for one in node.body
                if isinstance(one, ast.Assign)
            ]
            enums.append(f"enum {name} : int32_t {{ {', '.join(values)} }};")
            continue
        fields = fields_of(classes, name)
        arrays = [f"{SCALARS[kind]}, {field}" for field, kind in fields.items() if kind in SCALARS]
        switches = [field for field, kind in fields.items() if kind == "bool"]
        if name in ("ProgramArrays", "StepArrays"):
            lines.append(macro("QTM_" + "_".join(words(name)).upper(), arrays))
        if name == "Switches":
            lines.append(macro("QTM_SWITCHES", switches))
        keys |= {field: None for field, kind in fields.items() if kind not in SCALARS and kind != "bool"}
    limits = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and type(node.value.value) is int
    }
    lines += ["", "namespace qtm {", "", *enums, ""]
    lines += [f"inline constexpr int {name.lower()} = {value};" for name, value in limits.items()]
    lines += ["", "// Entries that are no arrays.", "namespace key {"]
    lines += [f'inline constexpr const char* {name} = "{name}";' for name in keys]
    return "\n".join([*lines, "}  // namespace key", "", "}  // namespace qtm", ""])


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(header(source.read_text(encoding="utf-8")), encoding="utf-8")
