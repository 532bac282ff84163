// AVX2 and FMA: 8 floats or 4 doubles.
#include "body.hpp"

namespace qtm {
namespace {

bool supported() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

constexpr Kernel<float> float_kernels[] = {Evolve<float, 8, 0>::kernel, Evolve<float, 8, 1>::kernel,
                                           Evolve<float, 8, 3>::kernel};
constexpr Kernel<double> double_kernels[] = {Evolve<double, 4, 0>::kernel, Evolve<double, 4, 1>::kernel,
                                             Evolve<double, 4, 2>::kernel};

}  // namespace

extern const JetKernels avx2_jets;
extern const Implementation avx2;
const Implementation avx2{"avx2", supported, float_kernels, 3, double_kernels, 3, &avx2_jets};

}  // namespace qtm
