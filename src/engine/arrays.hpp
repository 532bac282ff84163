// The arrays of a program, as they come from the compiler.
#pragma once

#include <cstdint>
#include <vector>

#include "schema.hpp"

namespace qtm {

// What the compiler hands over; the schema has the meaning of each array.
struct ProgramArrays {
    int32_t num_qubits = 0, num_inputs = 0, num_weights = 0;
#define QTM_ARRAY(Scalar, name) std::vector<Scalar> name;
    QTM_PROGRAM_ARRAYS(QTM_ARRAY)
#undef QTM_ARRAY
    bool is_half = false;  // of another circuit: no observables, all of the state matters
    // Passes that may be switched off.
#define QTM_SWITCH(name) bool name = true;
    QTM_SWITCHES(QTM_SWITCH)
#undef QTM_SWITCH

    bool reads_amplitudes() const { return !state_flip.empty(); }  // or their squares
    bool reads_state() const { return !state_phase.empty(); }
    // Whether signs that no observable would show matter.
    bool needs_all() const { return is_half || reads_state(); }
};

}  // namespace qtm
