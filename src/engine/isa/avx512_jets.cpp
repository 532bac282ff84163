// What moves, in vectors of avx512.cpp.
#include "body.hpp"

namespace qtm {
namespace {

template <class Real, int lanes>
constexpr Kernel<Real> kernel = Evolve<Real, lanes, false>::kernel;

}  // namespace

extern const JetKernels avx512_jets;
const JetKernels avx512_jets{&kernel<FirstJet<float>, 16>, &kernel<FirstJet<double>, 8>, &kernel<SecondJet<float>, 16>,
                             &kernel<SecondJet<double>, 8>};

}  // namespace qtm
