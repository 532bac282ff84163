// Values and gradients along a curve, as power series of its parameter.
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "../gil.hpp"
#include "../jet.hpp"
#include "../range.hpp"
#include "batch.hpp"
#include "bindings.hpp"

namespace qtm::bindings {

using namespace nb::literals;

namespace {

void require_length(size_t length, size_t expected, const char* what) {
    if (length != expected)
        throw std::invalid_argument(std::string(what) + ": expected " + std::to_string(expected) + " powers, got " +
                                    std::to_string(length));
}

// Power 0, which may not be None.
nb::object first_of(const nb::sequence& given, int order, const char* what) {
    require_length(nb::len(given), size_t(order) + 1, what);
    return given[0];
}

nb::sequence sequence_of(nb::handle given, const char* what) {
    if (!PySequence_Check(given.ptr()))
        throw nb::type_error((std::string(what) + ": expected a sequence of tensors for power 0").c_str());
    return nb::borrow<nb::sequence>(given);
}

// Numbers whose powers come in tensors of their own; those that are None are zero.
template <class Number, int order>
class Powers {
   public:
    using J = Jet<Number, order>;

    Powers(const nb::sequence& given, size_t size, const char* what) : jets_(size, J(0)) {
        require_length(nb::len(given), order + 1, what);
        for (int k = 0; k <= order; ++k)
            if (!given[k].is_none()) put(k, 0, Tensor<Number>(given[k], what).values(size), size);
    }
    // The same for sets, one after the other.
    Powers(const nb::sequence& given, const std::vector<Tensor<Number>>& first, const char* what) {
        require_length(nb::len(given), order + 1, what);
        size_t size = 0;
        for (const auto& set : first) size += set.size();
        jets_.assign(size, J(0));
        for (int k = 0; k <= order; ++k) {
            if (given[k].is_none()) continue;
            size_t begin = 0, i = 0;
            for (nb::handle set : nb::borrow<nb::sequence>(given[k])) {
                if (i == first.size()) throw std::invalid_argument(std::string(what) + ": too many sets");
                const size_t count = first[i++].size();
                if (!set.is_none()) put(k, begin, Tensor<Number>(set, what).values(count), count);
                begin += count;
            }
            if (i < first.size()) throw std::invalid_argument(std::string(what) + ": too few sets");
        }
    }
    const J* data() const { return jets_.data(); }
    size_t size() const { return jets_.size(); }

   private:
    void put(int k, size_t begin, const Number* values, size_t count) {
        for (size_t i = 0; i < count; ++i) jets_[begin + i].term[k] = values[i];
    }
    std::vector<J> jets_;
};

template <class J>
void power(const std::vector<J>& jets, int k, size_t begin, size_t count, NumberOf<J>* out) {
    for (size_t i = 0; i < count; ++i) out[i] = jets[begin + i].term[k];
}

template <class Number, int order>
struct Series {
    using J = Jet<Number, order>;

    const ProgramView& program;
    Tensor<Number> first;                    // the inputs
    std::vector<Tensor<Number>> first_sets;  // the weights
    std::vector<Number> first_weights;
    // Checked. What moves may do so by NaN, as where a loss went astray: that stays in its sample.
    Batch<Number> still;
    Powers<Number, order> inputs, weights;
    Batch<J> batch;

    Series(const Plan& plan, const nb::sequence& given, int64_t size, const nb::sequence& sets, int num_threads)
        : program(plan.view()),
          first(first_of(given, order, "inputs"), "inputs"),
          first_sets(tensors<Number>(sequence_of(first_of(sets, order, "weights"), "weights"), "weights")),
          first_weights(joined(first_sets)),
          still(checked(program, first, size, first_weights, num_threads)),
          inputs(given, size_t(size) * size_t(program.num_inputs), "inputs"),
          weights(sets, first_sets, "weights"),
          batch{inputs.data(), weights.data(), size, still.num_threads, still.is_fixed} {}
};

template <class Number, int order>
nb::list values_of(const Plan& plan, const nb::sequence& inputs, int64_t size, const nb::sequence& sets,
                   int num_threads) {
    const Series<Number, order> series(plan, inputs, size, sets, num_threads);
    const size_t count = size_t(size) * size_t(series.program.num_values);
    std::vector<Jet<Number, order>> found(count);
    {
        const GilReleased released;
        require_resolved(series.program, series.still);
        values(plan, series.batch, found.data());
    }
    nb::list powers;
    for (int k = 0; k <= order; ++k) {
        nb::object one = series.first.like(size_t(size), size_t(series.program.num_values));
        power(found, k, 0, count, series.first.target(one));
        powers.append(std::move(one));
    }
    return powers;
}

template <class Number, int order>
nb::list gradients_of(const Plan& plan, const nb::sequence& inputs, int64_t size, const nb::sequence& sets,
                      const nb::sequence& cotangents, const std::vector<bool>& wants, int num_threads) {
    using J = Jet<Number, order>;
    const Series<Number, order> series(plan, inputs, size, sets, num_threads);
    const Powers<Number, order> seeds(cotangents, size_t(size) * size_t(series.program.num_values), "cotangent");
    if (wants.size() != 1 + series.first_sets.size())
        throw std::invalid_argument("wants: expected one flag for the inputs and for each set");
    std::vector<uint8_t> wanted(size_t(series.program.num_inputs), wants[0]);
    for (size_t i = 0; i < series.first_sets.size(); ++i)
        wanted.insert(wanted.end(), series.first_sets[i].size(), wants[i + 1]);
    std::vector<J> input_gradient(wants[0] ? series.inputs.size() : 0), weight_gradient(series.weights.size());
    {
        const GilReleased released;
        require_resolved(series.program, series.still);
        vector_jacobian_product<J>(plan, series.batch, seeds.data(), Derivative::real, wanted.data(), nullptr,
                                   wants[0] ? input_gradient.data() : nullptr, weight_gradient.data());
    }
    nb::list powers;
    for (int k = 0; k <= order; ++k) {
        nb::list gradients;
        nb::object of_inputs = wants[0] ? series.first.like() : nb::none();
        if (wants[0]) power(input_gradient, k, 0, input_gradient.size(), series.first.target(of_inputs));
        gradients.append(std::move(of_inputs));
        size_t begin = 0;
        for (size_t i = 0; i < series.first_sets.size(); begin += series.first_sets[i++].size()) {
            const Tensor<Number>& set = series.first_sets[i];
            nb::object of_set = wants[i + 1] ? set.like() : nb::none();
            if (wants[i + 1]) power(weight_gradient, k, begin, set.size(), set.target(of_set));
            gradients.append(std::move(of_set));
        }
        powers.append(std::move(gradients));
    }
    return powers;
}

void require_order(int order) {
    if (order != 1 && order != 2) throw std::invalid_argument("order: expected 1 or 2, got " + std::to_string(order));
}

template <class Number>
nb::list series_values(const Plan& plan, int order, const nb::sequence& inputs, int64_t size, const nb::sequence& sets,
                       int num_threads) {
    require_order(order);
    return order == 1 ? values_of<Number, 1>(plan, inputs, size, sets, num_threads)
                      : values_of<Number, 2>(plan, inputs, size, sets, num_threads);
}

template <class Number>
nb::list series_gradients(const Plan& plan, int order, const nb::sequence& inputs, int64_t size,
                          const nb::sequence& sets, const nb::sequence& cotangents, const std::vector<bool>& wants,
                          int num_threads) {
    require_order(order);
    return order == 1 ? gradients_of<Number, 1>(plan, inputs, size, sets, cotangents, wants, num_threads)
                      : gradients_of<Number, 2>(plan, inputs, size, sets, cotangents, wants, num_threads);
}

}  // namespace

void bind_series(Engine& engine) {
    engine
        .def("series_values_float32", &series_values<float>, "order"_a, "inputs"_a, "size"_a, "weights"_a,
             "num_threads"_a,
             "Values along a curve: powers 0 to `order` (1 or 2) of its parameter, as tensors. Inputs and sets of "
             "weights "
             "come as sequences of their powers; None: zero.")
        .def("series_values_float64", &series_values<double>, "order"_a, "inputs"_a, "size"_a, "weights"_a,
             "num_threads"_a)
        .def("series_gradients_float32", &series_gradients<float>, "order"_a, "inputs"_a, "size"_a, "weights"_a,
             "cotangent"_a, "wants"_a, "num_threads"_a,
             "Gradients of sum(cotangent * values) along a curve, on which the cotangent may move as well: for each "
             "power "
             "those with respect to the inputs and each set, None where not wanted.")
        .def("series_gradients_float64", &series_gradients<double>, "order"_a, "inputs"_a, "size"_a, "weights"_a,
             "cotangent"_a, "wants"_a, "num_threads"_a);
}

}  // namespace qtm::bindings
