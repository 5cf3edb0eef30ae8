#pragma once
// Knowledge bases over HTTP: /v1/knowledge.

#include "base/http/message.h"
#include "base/json/json.h"
#include "memory/knowledge/knowledge.h"

namespace memory {

base::json::object to_json(const knowledge::Document& document);
base::json::object to_json(const knowledge::Citation& citation);

/// Handlers of the knowledge routes; MemoryApi has them in its table.
class KnowledgeCalls {
public:
    explicit KnowledgeCalls(knowledge::KnowledgeBases& bases) : bases_(bases) {}

    base::Result<base::http::Response> bases(const base::http::Request& request);
    base::Result<base::http::Response> list(const base::http::Request& request);
    /// The body is the document, or a form (multipart/form-data) with one file.
    base::Result<base::http::Response> put(const base::http::Request& request);
    base::Result<base::http::Response> show(const base::http::Request& request);
    base::Result<base::http::Response> text(const base::http::Request& request);
    base::Result<base::http::Response> remove(const base::http::Request& request);
    base::Result<base::http::Response> search(const base::http::Request& request);
    base::Result<base::http::Response> conflicts(const base::http::Request& request);

private:
    knowledge::KnowledgeBases& bases_;
};

}  // namespace memory
