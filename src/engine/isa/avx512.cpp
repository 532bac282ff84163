// AVX-512 (F, DQ, VL): 16 floats or 8 doubles, or half of them where that spreads a batch better.
#include "body.hpp"

namespace qtm {
namespace {

bool supported() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}

constexpr Kernel<float> float_kernels[] = {Evolve<float, 16, false>::kernel, Evolve<float, 8, false>::kernel,
                                           Evolve<float, 16, true>::kernel};
constexpr Kernel<double> double_kernels[] = {Evolve<double, 8, false>::kernel, Evolve<double, 4, false>::kernel,
                                             Evolve<double, 8, true>::kernel};

}  // namespace

extern const JetKernels avx512_jets;
extern const Implementation avx512;
const Implementation avx512{"avx512", supported, float_kernels, 3, double_kernels, 3, &avx512_jets};

}  // namespace qtm
