#include "openmp.hpp"

#include <atomic>

// A sanitizer that watches threads does not see how those of the runtime wait for each other.
#if defined(__linux__) && !defined(__SANITIZE_THREAD__)
#define QTM_HAS_OPENMP
#include <dlfcn.h>
#include <pthread.h>
#endif

namespace qtm {
namespace {

std::atomic<bool> is_forced{false};

#if defined(QTM_HAS_OPENMP)
// The interface that compilers call. PyTorch loads its runtime for all to see, before a batch of anything is run.
struct Runtime {
    void (*parallel)(void (*)(void*), void*, unsigned, unsigned) = nullptr;
    int (*max_threads)() = nullptr, (*thread)() = nullptr, (*size)() = nullptr;
};

template <class Function>
void look_up(Function*& function, const char* name) {
    function = reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

std::atomic<bool> is_forked_child{false};
[[maybe_unused]] const int told_of_forks =
    pthread_atfork(nullptr, nullptr, [] { is_forked_child.store(true, std::memory_order_relaxed); });

const Runtime* runtime() {
    static const Runtime found = [] {
        Runtime runtime;
        look_up(runtime.parallel, "GOMP_parallel");
        look_up(runtime.max_threads, "omp_get_max_threads");
        look_up(runtime.thread, "omp_get_thread_num");
        look_up(runtime.size, "omp_get_num_threads");
        return runtime;
    }();
    const bool is_whole =
        found.parallel != nullptr && found.max_threads != nullptr && found.thread != nullptr && found.size != nullptr;
    return is_whole && !is_forked_child.load(std::memory_order_relaxed) ? &found : nullptr;
}
#endif

}  // namespace

int openmp_threads() {
#if defined(QTM_HAS_OPENMP)
    if (const Runtime* found = runtime()) return found->max_threads();
#endif
    return 0;
}

void run_on_openmp([[maybe_unused]] const std::function<void(int, int)>& work) {
#if defined(QTM_HAS_OPENMP)
    const Runtime& found = *runtime();
    const auto member = [](void* given) {
        const Runtime& own = *runtime();
        (*static_cast<const std::function<void(int, int)>*>(given))(own.thread(), own.size());
    };
    found.parallel(member, const_cast<std::function<void(int, int)>*>(&work), 0, 0);
#endif
}

void force_openmp(bool forces) { is_forced.store(forces); }
bool forces_openmp() { return is_forced.load(std::memory_order_relaxed); }

}  // namespace qtm
