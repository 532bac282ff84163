"""Extras: what parts of the package need beyond its own requirements, and how docs/install.md says to get them."""


def how_to_install(extra: str) -> str:
    """The remedy where a package of an extra is missing.

    Not ``pip install 'qiskit-torch-module[...]'``: on PyPI that name is version 1.0, another program.

    Args:
        extra: Its name in ``pyproject.toml``.
    """
    return f"""in a clone of the repository, pip install -c constraints.txt ".[{extra}]" (see docs/install.md)"""
