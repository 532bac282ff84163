// AVX-512 (F, DQ, VL): 16 floats or 8 doubles, of a few samples or one as well; or half of them, where that spreads a
// batch better.
#include "body.hpp"

namespace qtm {
namespace {

bool supported() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}

constexpr Kernel<float> float_kernels[] = {Evolve<float, 16, 0>::kernel, Evolve<float, 8, 0>::kernel,
                                           Evolve<float, 16, 1>::kernel, Evolve<float, 16, 2>::kernel,
                                           Evolve<float, 16, 4>::kernel};
constexpr Kernel<double> double_kernels[] = {Evolve<double, 8, 0>::kernel, Evolve<double, 4, 0>::kernel,
                                             Evolve<double, 8, 1>::kernel, Evolve<double, 8, 2>::kernel,
                                             Evolve<double, 8, 3>::kernel};

}  // namespace

extern const JetKernels avx512_jets;
extern const Implementation avx512;
const Implementation avx512{"avx512", supported, float_kernels, 5, double_kernels, 5, &avx512_jets};

}  // namespace qtm
