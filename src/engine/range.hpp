// Angles that have no digits left: refused before anything is computed, because their sines would be noise.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "evaluate.hpp"
#include "program.hpp"

namespace qtm {

// From here on, neighbouring numbers are a radian apart or more.
template <class Real>
constexpr double least_unresolved = sizeof(Real) == 4 ? 8388608.0 : 4503599627370496.0;

// An angle in words: "0.5 * input 0 * weight 1 + ...".
inline std::string angle_text(const ProgramView& p, int angle) {
    std::string text;
    const auto number = [](double value) {
        char digits[32];
        std::snprintf(digits, sizeof digits, "%.6g", value);
        return std::string(digits);
    };
    const int begin = p.angle_term_begin[angle], end = p.angle_term_begin[angle + 1];
    if (p.angle_constant[angle] != 0 || begin == end) text = number(p.angle_constant[angle]);
    for (int t = begin; t < std::min(end, begin + 4); ++t) {
        text += (text.empty() ? "" : " + ") + number(p.term_coefficient[t]);
        for (int f = p.term_factor_begin[t]; f < p.term_factor_begin[t + 1]; ++f) {
            const int variable = p.factor_variable[f], weight = variable - p.num_inputs;
            text += weight < 0 ? " * input " + std::to_string(variable) : " * weight " + std::to_string(weight);
        }
    }
    return end - begin > 4 ? text + " + ..." : text;
}

// Its terms added up: as they are, and by their sizes.
struct AngleSize {
    double value, terms;
};

template <class Variable>
AngleSize angle_size(const ProgramView& p, int angle, const Variable& variable) {
    AngleSize size{p.angle_constant[angle], std::abs(p.angle_constant[angle])};
    for (int t = p.angle_term_begin[angle]; t < p.angle_term_begin[angle + 1]; ++t) {
        double term = p.term_coefficient[t];
        for (int f = p.term_factor_begin[t]; f < p.term_factor_begin[t + 1]; ++f)
            term *= variable(p.factor_variable[f]);
        size.value += term;
        size.terms += std::abs(term);
    }
    return size;
}

template <class Real>
Real largest_size(const Real* values, size_t count) {
    constexpr size_t parts = 16;  // maxima that do not wait for one another
    Real largest[parts] = {};
    size_t begin = 0;
    for (; begin + parts <= count; begin += parts)
        for (size_t i = 0; i < parts; ++i) largest[i] = std::max(largest[i], std::abs(values[begin + i]));
    for (; begin < count; ++begin) largest[0] = std::max(largest[0], std::abs(values[begin]));
    return *std::max_element(largest, largest + parts);
}

// Whether no angle can come near the limit: nearly always.
template <class Real>
bool are_small(const ProgramView& p, const Batch<Real>& batch) {
    const Real largest = std::max({Real(1), largest_size(batch.inputs, size_t(batch.size) * size_t(p.num_inputs)),
                                   largest_size(batch.weights, size_t(p.num_weights))});
    double bound = p.angle_scale;
    for (int32_t i = 0; i < p.angle_degree; ++i) bound *= double(largest);
    return bound < least_unresolved<Real>;
}

// Throws std::invalid_argument where some sample makes an angle of which no digit is left.
template <class Real>
void require_resolved(const ProgramView& p, const Batch<Real>& batch) {
    if (are_small(p, batch)) return;
    const auto num_inputs = size_t(p.num_inputs), num_weights = size_t(p.num_weights);
    thread_local std::vector<Real> largest;  // of every variable
    largest.assign(num_inputs + num_weights, Real(0));
    for (int64_t sample = 0; sample < batch.size; ++sample)
        for (size_t i = 0; i < num_inputs; ++i)
            largest[i] = std::max(largest[i], std::abs(batch.inputs[size_t(sample) * num_inputs + i]));
    for (size_t i = 0; i < num_weights; ++i) largest[num_inputs + i] = std::abs(batch.weights[i]);
    for (int a = 0; a < p.num_angles; ++a) {
        const auto most = angle_size(p, a, [&](int i) { return double(largest[size_t(i)]); });
        if (most.terms < least_unresolved<Real>) continue;
        for (int64_t sample = 0; sample < batch.size; ++sample) {
            const Real* row = batch.inputs + size_t(sample) * num_inputs;
            const auto size = angle_size(p, a, [&](int i) {
                return double(size_t(i) < num_inputs ? row[i] : batch.weights[size_t(i) - num_inputs]);
            });
            if (std::abs(size.value) < least_unresolved<Real> && size.terms < least_unresolved<double>) continue;
            char value[32];
            std::snprintf(value, sizeof value, "%.6g", size.value);
            throw std::invalid_argument("angle " + angle_text(p, a) + " is " + value + " in sample " +
                                        std::to_string(sample) + ", of which no digit is left in " +
                                        (sizeof(Real) == 4 ? "single" : "double") +
                                        " precision; keep angles small, e.g. by scaling the values" +
                                        (sizeof(Real) == 4 ? ", or compute in float64" : ""));
        }
    }
}

}  // namespace qtm
