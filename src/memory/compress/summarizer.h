#pragma once
// Who writes summaries, where sentences are not just picked: a port.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/core/result.h"

namespace memory::compress {

/// One of a summary, and which texts it is of, from 0.
struct Sentence {
    std::string text;
    std::vector<std::uint32_t> of;
};

/// Thread-safe.
class Summarizer {
public:
    virtual ~Summarizer() = default;
    virtual const std::string& id() const = 0;
    /// Of texts in order of time. What it gives is checked by who asked. Errors: its own.
    virtual base::Result<std::vector<Sentence>> summarize(std::span<const std::string> texts,
                                                          std::uint32_t sentences_max) = 0;
};

}  // namespace memory::compress
