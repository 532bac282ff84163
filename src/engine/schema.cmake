# schema.hpp, made of the schema that Python reads as well; targets that include it call use_schema(target).
set(qtm_schema ${CMAKE_CURRENT_LIST_DIR}/../qiskit_torch_module/_core/schema.py)
set(qtm_make_schema ${CMAKE_CURRENT_LIST_DIR}/make_schema.py)
set(qtm_generated ${CMAKE_CURRENT_BINARY_DIR}/generated)
add_custom_command(
  OUTPUT ${qtm_generated}/schema.hpp
  COMMAND ${Python_EXECUTABLE} ${qtm_make_schema} ${qtm_schema} ${qtm_generated}/schema.hpp
  DEPENDS ${qtm_schema} ${qtm_make_schema}
  VERBATIM)
add_custom_target(qtm_schema_header DEPENDS ${qtm_generated}/schema.hpp)

function(use_schema target)
  target_include_directories(${target} PRIVATE ${qtm_generated})
  add_dependencies(${target} qtm_schema_header)
endfunction()
