#pragma once
// How a command ended, by what its init or agent and its groups tell. The same for every backend.

#include "sphere/launcher/protocol.h"
#include "sphere/spec.h"

namespace sphere::native {

struct EndFacts {
    const launcher::Exited* exited = nullptr;  ///< null: it ended with its box
    bool out_of_memory = false;                ///< something in the box was killed for it meanwhile
    int sent_signal = 0;                       ///< by the caller
    bool cpu_limited = false;
};

/// Fills in reason, exit_code and signal; whoever ended it on purpose knows better. Pure.
void judge_end(const EndFacts& facts, ExecResult& result);

}  // namespace sphere::native
