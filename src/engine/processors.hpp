// How many processors this process may use.
#pragma once

#include <string>

namespace qtm {

// As many of `num_threads` as there are processors for: those it is bound to, and those that the quota of its control
// groups comes to. They may change while it runs: what is known is some milliseconds old at most, a quota a second.
int usable_threads(int num_threads);

// The quota in processors, rounded up; 0: none. For `root` see `memory_limit`.
int processor_quota(const std::string& root);

// For tests: as if there were so many; 0: asks the system.
void assume_processors(int count);

}  // namespace qtm
