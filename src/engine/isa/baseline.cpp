// What every processor of the architecture has: 4 floats or 2 doubles (SSE2 on x86-64, NEON on AArch64).
#include "body.hpp"

namespace qtm {
namespace {

bool supported() { return true; }

constexpr Kernel<float> float_kernels[] = {Evolve<float, 4, 0>::kernel, Evolve<float, 4, 1>::kernel,
                                           Evolve<float, 4, 2>::kernel};
constexpr Kernel<double> double_kernels[] = {Evolve<double, 2, 0>::kernel, Evolve<double, 2, 1>::kernel};

}  // namespace

extern const JetKernels baseline_jets;
extern const Implementation baseline;
#if defined(__aarch64__)
const Implementation baseline{"neon", supported, float_kernels, 3, double_kernels, 2, &baseline_jets};
#else
const Implementation baseline{"baseline", supported, float_kernels, 3, double_kernels, 2, &baseline_jets};
#endif

}  // namespace qtm
