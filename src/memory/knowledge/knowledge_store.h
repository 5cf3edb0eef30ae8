#pragma once
// Knowledge bases over a store of memories.

#include <memory>

#include "base/core/clock.h"
#include "memory/knowledge/knowledge.h"
#include "memory/knowledge/parser_process.h"
#include "memory/knowledge/passages.h"

namespace memory::knowledge {

/// Makes the tables where they are missing. `passages` and `clock` outlive it. Errors: store's.
base::Result<std::unique_ptr<KnowledgeBases>> make_knowledge_bases(
    PassageStore& passages, std::unique_ptr<DocumentParser> parser, const base::Clock& clock);

}  // namespace memory::knowledge
