// Scratch memory that is reused from call to call: fresh pages cost more than small circuits.
#pragma once

#include <cstddef>

namespace qtm {

class Scratch {
   public:
    explicit Scratch(size_t bytes);  // aligned to 64; throws std::bad_alloc
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    char* data() const { return static_cast<char*>(data_); }

   private:
    void* data_;
    size_t bytes_;
};

}  // namespace qtm
