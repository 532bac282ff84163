// What moves, in vectors of avx2.cpp.
#include "body.hpp"

namespace qtm {
namespace {

template <class Real, int lanes>
constexpr Kernel<Real> kernels[2] = {Evolve<Real, lanes, 0>::kernel,
                                     Stepwise<Real, lanes, __builtin_ctz(lanes)>::kernel};

}  // namespace

extern const JetKernels avx2_jets;
const JetKernels avx2_jets{kernels<FirstJet<float>, 8>, kernels<FirstJet<double>, 4>, kernels<SecondJet<float>, 8>,
                           kernels<SecondJet<double>, 4>};

}  // namespace qtm
