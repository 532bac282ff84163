#include "energies.hpp"

#include <algorithm>

#include "tuning.hpp"

namespace qtm {

int64_t Energies::add(Terms terms) {
    std::sort(terms.begin(), terms.end());
    const auto known = begin_.find(terms);
    if (known != begin_.end()) return known->second;
    const size_t size = size_t(1) << num_qubits_, begin = double_.size();
    if (begin + size > tuning::most_energies) return -1;
    double_.resize(begin + size);
    double* energy = double_.data() + begin;
    for (const auto& [z, factor] : terms) energy[z] += factor;
    for (size_t stride = 1; stride < size; stride *= 2)
        for (size_t i = 0; i < size; ++i)
            if ((i & stride) == 0) {
                const double even = energy[i], odd = energy[i | stride];
                energy[i] = even + odd;
                energy[i | stride] = even - odd;
            }
    single_.insert(single_.end(), double_.begin() + ptrdiff_t(begin), double_.end());
    begin_.emplace(std::move(terms), int64_t(begin));
    return int64_t(begin);
}

}  // namespace qtm
