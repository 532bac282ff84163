"""The paper's own figures (Meyer et al., arXiv:2404.06314), for tables that put them beside what is measured here.

Its machine: AMD Ryzen 9 5900X with 12 cores; Qiskit 1.0, qiskit-algorithms 0.3.0, qiskit-machine-learning 0.7.1.
"""

from __future__ import annotations

MACHINE = "Ryzen 9 5900X, 12 cores"

# How many times as fast as the reverse gradient of qiskit-machine-learning, for 1, 2, 4, 8, 12, 16, 24, 32 observables.
TABLE_I = {
    "forward": {
        "parallel": (5.60, 11.4, 23.2, 44.4, 66.6, 81.5, 131.0, 172.0),
        "sequential": (1.17, 2.15, 4.67, 9.33, 14.0, 18.7, 25.9, 34.5),
    },
    "backward": {
        "parallel": (8.35, 15.6, 27.4, 43.5, 54.0, 60.1, 68.3, 74.3),
        "sequential": (1.01, 1.82, 3.11, 4.79, 5.91, 6.61, 7.47, 8.08),
    },
}

# Seconds of 250 updates with 48 images each; accuracy of both in percent.
TABLE_II = {"version 1.0": 838.0, "qiskit-machine-learning, reverse": 50_804.0}
TABLE_II_ACCURACY = 55.0
# Test accuracy (%) of the example that version 1.0 ships, run as it is, after so many updates.
EXAMPLE_ACCURACY = {250: 44.5, 2000: 55.0}

# Seconds of a run (10 on average), its steps of the environment, and milliseconds of a step.
TABLE_III = {
    "version 1.0": (145.7, 37_080, 3.93),
    "qiskit-machine-learning, reverse": (2_301.1, 71_259, 32.29),
}

# The largest factor over the reverse gradient on Linux, batch 4 times the cores.
FIG_4_MOST = 300
