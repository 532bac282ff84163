"""Primitives that count how often Qiskit's hooks for subclasses are called."""


def counting(base):
    class Counting(base):
        def __init__(self, **arguments):
            super().__init__(**arguments)
            self.runs, self.pubs = [], 0

        def _run(self, *arguments, **options):
            self.runs.append(len(arguments[0]))
            return super()._run(*arguments, **options)

        def _run_pub(self, pub):
            self.pubs += 1
            return super()._run_pub(pub)

    return Counting
