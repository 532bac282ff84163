// What every processor of the architecture has: 4 floats or 2 doubles (SSE2 on x86-64, NEON on AArch64).
#include "body.hpp"

namespace qtm {
namespace {

bool supported() { return true; }

constexpr Kernel<float> float_kernels[] = {Evolve<float, 4>::kernel, Evolve<float, 1>::kernel};
constexpr Kernel<double> double_kernels[] = {Evolve<double, 2>::kernel, Evolve<double, 1>::kernel};

}  // namespace

extern const Implementation baseline;
#if defined(__aarch64__)
const Implementation baseline{"neon", supported, float_kernels, 2, double_kernels, 2};
#else
const Implementation baseline{"baseline", supported, float_kernels, 2, double_kernels, 2};
#endif

}  // namespace qtm
