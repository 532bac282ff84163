#include "dispatch.hpp"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

namespace qtm {

#if defined(QTM_X86)
extern const Implementation avx512;
extern const Implementation avx2;
#endif
extern const Implementation baseline;

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
    return forced == nullptr || *forced == '\0' ? *supported_implementations().front() : find(forced);
}

}  // namespace

std::vector<const Implementation*> supported_implementations() {
    std::vector<const Implementation*> supported;
    for (const Implementation* candidate : {
#if defined(QTM_X86)
             &avx512, &avx2,
#endif
             &baseline})
        if (candidate->supported()) supported.push_back(candidate);
    return supported;
}

const Implementation& implementation() {
    const Implementation* chosen = current.load();
    if (chosen == nullptr) current.store(chosen = &choose());
    return *chosen;
}

bool outruns_caches() {
#if defined(QTM_X86)
    return &implementation() == &avx512 && !__builtin_cpu_is("amd");
#else
    return false;
#endif
}

void force_implementation(const std::string& name) { current.store(name.empty() ? &choose() : &find(name)); }

}  // namespace qtm
