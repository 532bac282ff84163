// What moves, in vectors of baseline.cpp.
#include "body.hpp"

namespace qtm {
namespace {

template <class Real, int lanes>
constexpr Kernel<Real> kernel = Evolve<Real, lanes, false>::kernel;

}  // namespace

extern const JetKernels baseline_jets;
const JetKernels baseline_jets{&kernel<FirstJet<float>, 4>, &kernel<FirstJet<double>, 2>, &kernel<SecondJet<float>, 4>,
                               &kernel<SecondJet<double>, 2>};

}  // namespace qtm
