// What is worked out when first asked for.
#pragma once

#include <atomic>
#include <memory>

namespace qtm {

// Several threads may work it out at the same time; all get what the first one made. There is no lock, which a fork in
// another thread would leave locked.
template <class T>
class Derived {
   public:
    Derived() = default;
    Derived(const Derived&) = delete;
    Derived& operator=(const Derived&) = delete;
    ~Derived() { delete found_.load(std::memory_order_acquire); }

    // `make` returns a std::unique_ptr<T>.
    template <class Make>
    const T& get(Make make) const {
        const T* found = found_.load(std::memory_order_acquire);
        if (found != nullptr) return *found;
        std::unique_ptr<T> fresh = make();
        if (!found_.compare_exchange_strong(found, fresh.get(), std::memory_order_acq_rel)) return *found;
        return *fresh.release();
    }

   private:
    mutable std::atomic<const T*> found_{nullptr};
};

}  // namespace qtm
