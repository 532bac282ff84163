// What moves, in vectors of avx2.cpp.
#include "body.hpp"

namespace qtm {
namespace {

template <class Real, int lanes>
constexpr Kernel<Real> kernel = Evolve<Real, lanes, false>::kernel;

}  // namespace

extern const JetKernels avx2_jets;
const JetKernels avx2_jets{&kernel<FirstJet<float>, 8>, &kernel<FirstJet<double>, 4>, &kernel<SecondJet<float>, 8>,
                           &kernel<SecondJet<double>, 4>};

}  // namespace qtm
