// What moves, in vectors of baseline.cpp.
#include "body.hpp"

namespace qtm {
namespace {

template <class Real, int lanes>
constexpr Kernel<Real> kernels[2] = {Evolve<Real, lanes, 0>::kernel,
                                     Stepwise<Real, lanes, __builtin_ctz(lanes)>::kernel};

}  // namespace

extern const JetKernels baseline_jets;
const JetKernels baseline_jets{kernels<FirstJet<float>, 4>, kernels<FirstJet<double>, 2>, kernels<SecondJet<float>, 4>,
                               kernels<SecondJet<double>, 2>};

}  // namespace qtm
