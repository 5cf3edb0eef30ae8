#pragma once
// The port to a model that reads each hit beside the question: slower than vectors, and better.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"

namespace memory {

/// Thread-safe.
class Reranker {
public:
    virtual ~Reranker() = default;
    virtual const std::string& id() const = 0;
    /// One score a text, 0 to 1: how well it answers. Errors: unavailable and others; the search
    /// goes on without.
    virtual base::Result<std::vector<float>> score(std::string_view question,
                                                   std::span<const std::string> texts) = 0;
};

}  // namespace memory
