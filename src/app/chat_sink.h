#pragma once
// The way back of one generation in a chat: the engine's text becomes content, reasoning and tool
// calls for the gateway's listener.

#include <memory>
#include <string>
#include <vector>

#include "engine/chat/output_parser.h"
#include "engine/engine.h"
#include "engine/sample/text_stream.h"
#include "gate/model_backend.h"

namespace app {

struct ChatSinkOptions {
    std::shared_ptr<const engine::chat::ChatFormat> format;
    std::shared_ptr<const engine::chat::ToolSet> tools;  ///< null: calls are not looked for
    engine::chat::ParserOptions parser;
    std::vector<std::string> stop;  ///< matched in the content alone
    bool parallel = true;           ///< false: the first complete call ends the answer
};

/// One generation's; on the engine's thread.
class ChatSink {
public:
    explicit ChatSink(ChatSinkOptions options);

    void push(std::string_view text, gate::TokenDelta& delta);
    void finish(std::string_view text, gate::GenerationEnd& end);
    bool has_enough() const;

private:
    struct Pieces {
        std::string &text, &reasoning;
        std::vector<gate::ToolCallDelta>& tool_calls;
    };
    void tell(Pieces pieces);

    engine::chat::OutputParser parser_;
    engine::TextStream stops_;
    bool parallel_;
    std::vector<engine::chat::Event> events_;
};

}  // namespace app
