// The lock of the interpreter, released while the engine computes; and what becomes of threads that still compute when
// the interpreter ends.
//
// Before Python 3.14, a daemon thread that wants the lock after the end is ended itself, by pthread_exit(). In glibc
// that unwinds the stack like an exception, and aborts the process where a frame lets none through: destructors,
// nanobind, PyTorch. So such threads are held in the engine, without the lock, until the process ends; Python 3.14 does
// the same. The interpreter gives them a moment to come there from wherever they are.
#pragma once

#include <Python.h>

namespace qtm {

class GilReleased {
   public:
    GilReleased();
    ~GilReleased();
    GilReleased(const GilReleased&) = delete;
    GilReleased& operator=(const GilReleased&) = delete;

   private:
    PyThreadState* state_;
};

// To be called when the interpreter is about to end, by the thread that ends it, with the lock held.
void hold_other_threads();

}  // namespace qtm
