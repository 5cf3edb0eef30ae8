#include "engine/model_files/source_model.h"
namespace engine {
base::Result<SourceModel> load_hf_model(const std::string& folder, GgufWriter&) {
    return base::fail_on(folder, base::Code::unimplemented, "{}: not yet", folder);
}
}  // namespace engine
