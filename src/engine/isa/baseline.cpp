// What every processor of the architecture has: 4 floats or 2 doubles (SSE2 on x86-64, NEON on AArch64).
#include "body.hpp"

namespace qtm {
namespace {

bool supported() { return true; }

constexpr Kernel<float> float_kernels[] = {Evolve<float, 4, false>::kernel, Evolve<float, 4, true>::kernel};
constexpr Kernel<double> double_kernels[] = {Evolve<double, 2, false>::kernel, Evolve<double, 2, true>::kernel};

template <class Real, int lanes>
constexpr Kernel<Real> jet_kernel = Evolve<Real, lanes, false>::kernel;
const JetKernels jet_kernels{&jet_kernel<FirstJet<float>, 4>, &jet_kernel<FirstJet<double>, 2>,
                             &jet_kernel<SecondJet<float>, 4>, &jet_kernel<SecondJet<double>, 2>};

}  // namespace

extern const Implementation baseline;
#if defined(__aarch64__)
const Implementation baseline{"neon", supported, float_kernels, 2, double_kernels, 2, jet_kernels};
#else
const Implementation baseline{"baseline", supported, float_kernels, 2, double_kernels, 2, jet_kernels};
#endif

}  // namespace qtm
