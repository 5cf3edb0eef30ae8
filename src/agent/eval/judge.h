#pragma once
// Is an answer what a pack's evaluation expects?

#include <string>

#include "agent/pack/pack.h"

namespace agent {

struct Judged {
    bool passed = false;
    std::string why;  ///< of a failure
};

/// exact: the same JSON; of texts, without space around them. contains: every text stands in the
/// answer, without regard to case. schema: the answer, or the JSON that its text is, satisfies it.
Judged judge(const Pack::Eval& eval, const base::json::value& answer);

}  // namespace agent
