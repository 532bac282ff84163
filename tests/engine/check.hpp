// What the unit tests of the engine need: a test is a function that checks things; `run` names those that failed.
#pragma once

#include <cmath>
#include <cstdio>
#include <exception>
#include <functional>
#include <initializer_list>
#include <string>

namespace check {

inline int failures = 0;

inline void that(bool holds, const char* what, const char* file, int line) {
    if (holds) return;
    ++failures;
    std::fprintf(stderr, "%s:%d: expected %s\n", file, line, what);
}

struct Test {
    const char* name;
    std::function<void()> work;
};

// Returns what main() returns.
inline int run(std::initializer_list<Test> tests) {
    for (const Test& test : tests) {
        const int before = failures;
        try {
            test.work();
        } catch (const std::exception& error) {
            ++failures;
            std::fprintf(stderr, "%s threw: %s\n", test.name, error.what());
        }
        std::printf("%s %s\n", failures == before ? "ok    " : "FAILED", test.name);
    }
    return failures == 0 ? 0 : 1;
}

}  // namespace check

#define TEST(name) {#name, name}
#define CHECK(condition) check::that(condition, #condition, __FILE__, __LINE__)
