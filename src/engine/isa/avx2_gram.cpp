// Products of states, in vectors of avx2.cpp.
#include "gram.hpp"

namespace qtm {

extern const GramKernels avx2_gram;
const GramKernels avx2_gram{&Panels<float, 8>::kernel, &Panels<double, 4>::kernel};

}  // namespace qtm
