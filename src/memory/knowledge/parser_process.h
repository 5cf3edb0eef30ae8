#pragma once
// Parses one document in a process of its own, which may die, hang or be taken over: it has no
// network, sees no file but fonts, and ends at its limits of memory and time.

#include <chrono>
#include <memory>
#include <string_view>

#include "base/core/result.h"
#include "memory/knowledge/parsed.h"

namespace memory::knowledge {

class DocumentParser {
public:
    virtual ~DocumentParser() = default;
    /// Thread-safe. Errors: the parser's (parse/parse.h), deadline_exceeded, invalid_argument (it
    /// died on this document), failed_precondition (it cannot start; says what is missing).
    virtual base::Result<Parsed> parse(std::string_view bytes, const ParseRequest& request) = 0;
};

struct ParserProcessOptions {
    std::chrono::milliseconds time_max = std::chrono::minutes(2);
};

std::unique_ptr<DocumentParser> make_parser_process(ParserProcessOptions options = {});

}  // namespace memory::knowledge
