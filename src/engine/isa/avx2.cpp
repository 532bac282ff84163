// AVX2 and FMA: 8 floats or 4 doubles.
#include "body.hpp"

namespace qtm {
namespace {

bool supported() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

constexpr Kernel<float> float_kernels[] = {Evolve<float, 8, false>::kernel, Evolve<float, 8, true>::kernel};
constexpr Kernel<double> double_kernels[] = {Evolve<double, 4, false>::kernel, Evolve<double, 4, true>::kernel};

}  // namespace

extern const JetKernels avx2_jets;
extern const Implementation avx2;
const Implementation avx2{"avx2", supported, float_kernels, 2, double_kernels, 2, &avx2_jets};

}  // namespace qtm
