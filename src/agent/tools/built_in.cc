// The tools that need nothing but this program. Those over the workspace are code steps: each
// begins with the files that the one before it left, which are kept on disk, so that an agent that
// was killed goes on with the same files.

#include "agent/tool.h"

namespace agent {
namespace {

namespace json = base::json;

json::object schema(std::string_view text) {
    json::object out = base::parse_json(text)->as_object();
    out["type"] = "object";
    out["additionalProperties"] = false;
    return out;
}

// Programs write where they like within the box; what they print comes back, cut in the middle.
constexpr std::string_view kPython = R"(import subprocess, sys
def cut(raw):
    text = raw.decode('utf-8', 'replace')
    return text if len(text) <= 16000 else text[:8000] + '\n[cut]\n' + text[-8000:]
done = subprocess.run([sys.executable, '-c', args['code']], capture_output=True)
result = {'exit_code': done.returncode, 'stdout': cut(done.stdout), 'stderr': cut(done.stderr)}
)";
constexpr std::string_view kBash = R"(import subprocess
def cut(raw):
    text = raw.decode('utf-8', 'replace')
    return text if len(text) <= 16000 else text[:8000] + '\n[cut]\n' + text[-8000:]
done = subprocess.run(['bash', '-c', args['command']], capture_output=True)
result = {'exit_code': done.returncode, 'stdout': cut(done.stdout), 'stderr': cut(done.stderr)}
)";
constexpr std::string_view kRead =
    R"(with open(args['path'], encoding='utf-8', errors='replace') as f:
    text = f.read(200001)
result = {'text': text[:16000], 'cut': len(text) > 16000}
)";
constexpr std::string_view kWrite = R"(import os
folder = os.path.dirname(args['path'])
if folder: os.makedirs(folder, exist_ok=True)
with open(args['path'], 'w', encoding='utf-8') as f: f.write(args['content'])
result = {'written_bytes': len(args['content'].encode())}
)";
constexpr std::string_view kList = R"(import os
ours = {'step.py', '.dougong_args.json', '.dougong_result.json'}
found = []
for folder, folders, names in os.walk(args.get('path', '.')):
    folders.sort()
    for name in sorted(names):
        path = os.path.relpath(os.path.join(folder, name), '.')
        if path not in ours and len(found) < 1000:
            found.append({'path': path, 'bytes': os.path.getsize(os.path.join(folder, name))})
result = {'files': found}
)";

std::vector<BuiltIn> make() {
    return {
        {{"calculator",
          "Compute a formula exactly: numbers, + - * / // % **, parentheses, comparisons. Use it "
          "for any arithmetic.",
          schema(R"({"required": ["expression"], "properties": {
              "expression": {"type": "string", "minLength": 1, "maxLength": 400}}})"),
          true}},
        {{"clock", "What time it is now, UTC.", schema(R"({"properties": {}})"), true}},
        {{"ask_human",
          "Ask the person you work for, when you cannot go on without something only they know or "
          "may decide. It can take long.",
          schema(R"({"required": ["question"], "properties": {
              "question": {"type": "string", "minLength": 1, "maxLength": 4000}}})"),
          false},
         Kind::human},
        {{"python",
          "Run a Python program in a sandbox of its own. Its working folder holds your files, "
          "which "
          "stay for later calls; variables do not. Print what you want to see.",
          schema(R"({"required": ["code"], "properties": {
              "code": {"type": "string", "minLength": 1, "maxLength": 100000}}})"),
          false},
         Kind::workspace,
         kPython},
        {{"bash",
          "Run a shell command in a sandbox of its own. Its working folder holds your files, which "
          "stay for later calls.",
          schema(R"({"required": ["command"], "properties": {
              "command": {"type": "string", "minLength": 1, "maxLength": 20000}}})"),
          false},
         Kind::workspace,
         kBash},
        {{"read_file", "Read a text file of your working folder.",
          schema(R"({"required": ["path"], "properties": {
              "path": {"type": "string", "minLength": 1, "maxLength": 1000}}})"),
          false},
         Kind::workspace,
         kRead},
        {{"write_file",
          "Write a text file in your working folder, whole; one that is there is replaced.",
          schema(R"({"required": ["path", "content"], "properties": {
              "path": {"type": "string", "minLength": 1, "maxLength": 1000},
              "content": {"type": "string", "maxLength": 200000}}})"),
          false},
         Kind::workspace,
         kWrite},
        {{"list_files", "List the files of your working folder with their sizes.",
          schema(R"({"properties": {"path": {"type": "string", "maxLength": 1000}}})"), false},
         Kind::workspace,
         kList},
    };
}

}  // namespace

const std::vector<BuiltIn>& built_in_tools() {
    static const std::vector<BuiltIn> kTools = make();
    return kTools;
}

const BuiltIn* built_in_tool(std::string_view name) {
    for (const BuiltIn& each : built_in_tools()) {
        if (each.tool.name == name) return &each;
    }
    return nullptr;
}

}  // namespace agent
