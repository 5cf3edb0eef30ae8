#pragma once
// Where the triggers of a lazy grammar do not count: what a model thinks before it answers.

#include <string>

namespace engine::constrain {

/// From `open`, where the output begins with it, to `close`. Both empty: nowhere.
struct TriggerPause {
    std::string open = {}, close = {};
    bool begun = false;  ///< the prompt ends behind `open`
};

}  // namespace engine::constrain
