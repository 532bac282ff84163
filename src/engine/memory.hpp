// How much memory one call may take.
#pragma once

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>

namespace qtm {

// Half of what this process may take, as of now: see `memory_limit`; or what was set.
size_t memory_budget();

// The same as of the last time that anybody looked: costs nothing.
size_t last_memory_budget();

// Nothing: goes by the machine again.
void set_memory_budget(std::optional<size_t> bytes);

// The least of physical memory, the limits of the control groups that the process is in (version 1 and 2, each with
// all groups above), and what the limits on its address space and data leave to it. `root` is where files of the system
// are looked for, such as /proc/self/cgroup: "" but in tests.
size_t memory_limit(const std::string& root);

// What a process may take can change while it runs; but to look takes some 100 us, which only a large request is worth,
// or one that would be refused.
constexpr size_t least_large_request = size_t(64) << 20;

// What `choose(limit)` chooses for the budget, which `bytes_of` what it chose must fit; it throws std::length_error
// where nothing fits.
template <class Choose, class BytesOf>
auto within_budget(Choose choose, BytesOf bytes_of) {
    const size_t limit = last_memory_budget();
    try {
        const auto chosen = choose(limit);
        if (bytes_of(chosen) < least_large_request || bytes_of(chosen) <= memory_budget()) return chosen;
    } catch (const std::length_error&) {
        if (memory_budget() <= limit) throw;
    }
    return choose(last_memory_budget());
}

}  // namespace qtm
