// Products of states, in vectors of avx512.cpp.
#include "gram.hpp"

namespace qtm {

extern const GramKernels avx512_gram;
const GramKernels avx512_gram{&Panels<float, 16>::kernel, &Panels<double, 8>::kernel};

}  // namespace qtm
