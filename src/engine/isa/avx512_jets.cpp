// What moves, in vectors of avx512.cpp.
#include "body.hpp"

namespace qtm {
namespace {

template <class Real, int lanes>
constexpr Kernel<Real> kernels[2] = {Evolve<Real, lanes, 0>::kernel,
                                     Stepwise<Real, lanes, __builtin_ctz(lanes)>::kernel};

}  // namespace

extern const JetKernels avx512_jets;
const JetKernels avx512_jets{kernels<FirstJet<float>, 16>, kernels<FirstJet<double>, 8>, kernels<SecondJet<float>, 16>,
                             kernels<SecondJet<double>, 8>};

}  // namespace qtm
