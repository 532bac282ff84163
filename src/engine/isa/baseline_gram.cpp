// Products of states, in vectors of baseline.cpp.
#include "gram.hpp"

namespace qtm {

extern const GramKernels baseline_gram;
const GramKernels baseline_gram{&Panels<float, 4>::kernel, &Panels<double, 2>::kernel};

}  // namespace qtm
