// What the checks of arrays share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace qtm {

inline void require(bool condition, const char* what) {
    if (!condition) throw std::invalid_argument(std::string("inconsistent program: ") + what);
}

// begin[0] = 0 <= begin[1] <= ... <= begin.back() = size
template <class Index>
void require_ranges(const std::vector<Index>& begin, size_t count, size_t size, const char* what) {
    require(begin.size() == count + 1 && begin.front() == 0 && begin.back() == int64_t(size), what);
    require(std::is_sorted(begin.begin(), begin.end()), what);
}

inline void require_indices(const std::vector<int32_t>& index, size_t size, const char* what) {
    for (int32_t i : index) require(i >= 0 && size_t(i) < size, what);
}

}  // namespace qtm
