#include "memory.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <limits>

#include "cgroup.hpp"

#if defined(_WIN32)
#include <windows.h>
#else
#include <sys/resource.h>
#include <unistd.h>
#endif

namespace qtm {
namespace {

constexpr size_t unlimited = std::numeric_limits<size_t>::max();

size_t physical_memory() {
#if defined(_WIN32)
    MEMORYSTATUSEX status{};
    status.dwLength = sizeof(status);
    GlobalMemoryStatusEx(&status);
    return size_t(status.ullTotalPhys);
#else
    return size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGE_SIZE));
#endif
}

// "max", and what is no number, is no limit.
size_t bytes_in(const std::string& path) {
    const auto line = first_line(path);
    if (!line || line->empty() || line->find_first_not_of("0123456789") != std::string::npos) return unlimited;
    return size_t(std::strtoull(line->c_str(), nullptr, 10));
}

size_t container_limit(const std::string& root) {
    size_t least = unlimited;
    for (const ControlGroup& group : control_groups(root, "memory"))
        least =
            std::min(least, bytes_in(group.folder + (group.version == 2 ? "/memory.max" : "/memory.limit_in_bytes")));
    return least;
}

#if !defined(_WIN32)
// What a limit on the address space leaves. Field `field` of /proc/self/statm is what has gone, in pages; elsewhere
// than on Linux nobody says.
size_t left_of(int resource, const std::string& root, int field) {
    rlimit limit{};
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return unlimited;
    const std::string pages = first_line(root + "/proc/self/statm").value_or("");
    const char* at = pages.c_str();
    size_t gone = 0;
    for (int i = 0; i <= field; ++i) {
        char* end = nullptr;
        gone = size_t(std::strtoull(at, &end, 10)) * size_t(sysconf(_SC_PAGE_SIZE));
        at = end;
    }
    return size_t(limit.rlim_cur) - std::min(size_t(limit.rlim_cur), gone);
}
#endif

std::atomic<size_t> set_budget{0};   // 0: none
std::atomic<size_t> seen_budget{0};  // 0: nobody has looked

}  // namespace

size_t memory_limit(const std::string& root) {
    size_t least = std::min(physical_memory(), container_limit(root));
#if !defined(_WIN32)
    least = std::min({least, left_of(RLIMIT_AS, root, 0), left_of(RLIMIT_DATA, root, 5)});
#endif
    return least;
}

size_t memory_budget() {
    const size_t set = set_budget.load();
    if (set > 0) return set;
    const size_t half = std::max<size_t>(1, memory_limit("") / 2);
    seen_budget.store(half);
    return half;
}

size_t last_memory_budget() {
    const size_t set = set_budget.load(), seen = seen_budget.load();
    return set > 0 ? set : seen > 0 ? seen : memory_budget();
}

void set_memory_budget(std::optional<size_t> bytes) { set_budget.store(bytes.value_or(0)); }

}  // namespace qtm
