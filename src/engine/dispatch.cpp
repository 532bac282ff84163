#include "dispatch.hpp"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

#include "tuning/narrow.hpp"
#include "tuning/whole.hpp"
#include "tuning/wide.hpp"

namespace qtm {

// As many as this build has.
#if defined(QTM_AVX512)
extern const Implementation avx512;
extern const GramKernels avx512_gram;
#endif
#if defined(QTM_AVX2)
extern const Implementation avx2;
extern const GramKernels avx2_gram;
#endif
#if defined(QTM_BASELINE)
extern const Implementation baseline;
extern const GramKernels baseline_gram;
#endif

namespace {

std::atomic<const Implementation*> current{nullptr};

const Implementation& find(const std::string& name) {
    std::string names;
    for (const Implementation* candidate : supported_implementations()) {
        if (candidate->name == name) return *candidate;
        names += (names.empty() ? "" : ", ") + std::string(candidate->name);
    }
    throw std::invalid_argument("instruction set '" + name + "' is not available here; expected one of: " + names +
                                " (set by QTM_INSTRUCTION_SET; unset it to use the best)");
}

const Implementation& choose() {
    const char* forced = std::getenv("QTM_INSTRUCTION_SET");
    if (forced != nullptr && *forced != '\0') return find(forced);
    const auto supported = supported_implementations();
    if (supported.empty()) throw std::runtime_error("this build is for instruction sets that this processor lacks");
    return *supported.front();
}

}  // namespace

std::vector<const Implementation*> supported_implementations() {
    std::vector<const Implementation*> supported;
    for (const Implementation* candidate : {
#if defined(QTM_AVX512)
             &avx512,
#endif
#if defined(QTM_AVX2)
             &avx2,
#endif
#if defined(QTM_BASELINE)
             &baseline,
#endif
         })
        if (candidate->supported()) supported.push_back(candidate);
    return supported;
}

const Implementation& implementation() {
    const Implementation* chosen = current.load();
    if (chosen == nullptr) current.store(chosen = &choose());
    return *chosen;
}

const tuning::Costs& tuning_costs() {
#if defined(QTM_AVX512)
    // AMD's have this instruction from Zen 5 on.
    if (&implementation() == &avx512)
        return !__builtin_cpu_is("amd")                       ? tuning::wide
               : __builtin_cpu_supports("avx512vp2intersect") ? tuning::whole
                                                              : tuning::narrow;
#endif
    return tuning::narrow;
}

const GramKernels& gram_kernels() {
    [[maybe_unused]] const Implementation* chosen = &implementation();
#if defined(QTM_AVX512)
    if (chosen == &avx512) return avx512_gram;
#endif
#if defined(QTM_AVX2)
    if (chosen == &avx2) return avx2_gram;
#endif
#if defined(QTM_BASELINE)
    return baseline_gram;
#else
    throw std::runtime_error("this build lacks the baseline");
#endif
}

void force_implementation(const std::string& name) { current.store(name.empty() ? &choose() : &find(name)); }

}  // namespace qtm
