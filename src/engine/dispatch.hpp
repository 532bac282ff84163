// Which implementation runs: the best the processor supports, or the one an environment variable forces.
#pragma once

#include <string>
#include <vector>

#include "gram.hpp"
#include "tile.hpp"
#include "tuning/costs.hpp"

namespace qtm {

// All implementations in this binary that this processor can run, best first.
std::vector<const Implementation*> supported_implementations();

// The one in use. QTM_INSTRUCTION_SET forces one by name; throws std::invalid_argument where it names none.
const Implementation& implementation();

// What was measured of the family of processors that the one in use belongs to: vectors of 64 bytes outrun the caches
// behind the first on Intel's. AMD's Zen 4 works on them in two halves, and is as fast with vectors half as long; later
// ones were not measured.
const tuning::Costs& tuning_costs();

// Products of states, for the one in use.
const GramKernels& gram_kernels();

// Changes the one in use; an empty name chooses again as at start.
void force_implementation(const std::string& name);

}  // namespace qtm
