extern "C" __global__ void __launch_bounds__(256) kernel_9049bcf75e261b1a(
    const float* mean,
    const float* gradient,
    const float* square,
    const float* parameter,
    float* out,
    float* out_1_,
    float* out_2_,
    const int n0)
{
    for (int p = blockIdx.x * 256 + threadIdx.x; p < (n0 / 4); p += gridDim.x * 256) {
        const int i1 = p * 4;
        const auto mean_2 = sg_load<float, 4>(mean + i1);
        const auto gradient_3 = sg_load<float, 4>(gradient + i1);
        const auto square_4 = sg_load<float, 4>(square + i1);
        const auto parameter_5 = sg_load<float, 4>(parameter + i1);
        sg_vector<float, 4> out_6;
        sg_vector<float, 4> out_1__7;
        sg_vector<float, 4> out_2__8;
        #pragma unroll
        for (int k = 0; k < 4; ++k) {
            const float v0 = mean_2.at[k];
            const float v1 = 0.9f * v0;  // test_cuda_printer.py:39  mean = 0.9 * mean + 0.1 * gradient
            const float v2 = gradient_3.at[k];
            const float v3 = 0.1f * v2;
            const float v4 = v1 + v3;
            const float v5 = v4 / 0.1f;  // test_cuda_printer.py:41  step = mean / 0.1 / (sg.sqrt(square / 0.001) + 1e-8)
            const float v6 = square_4.at[k];
            const float v7 = 0.999f * v6;  // test_cuda_printer.py:40  square = 0.999 * square + 0.001 * gradient * gradient
            const float v8 = 0.001f * v2;
            const float v9 = v8 * v2;
            const float v10 = v7 + v9;
            const float v11 = v10 / 0.001f;  // test_cuda_printer.py:41  step = mean / 0.1 / (sg.sqrt(square / 0.001) + 1e-8)
            const float v12 = sqrtf(v11);
            const float v13 = v12 + 1e-08f;
            const float v14 = v5 / v13;
            const float v15 = 0.001f * v14;  // test_cuda_printer.py:42  return [parameter - 0.001 * step, mean, square]
            const float v16 = parameter_5.at[k];
            const float v17 = v16 - v15;
            out_6.at[k] = v4;
            out_1__7.at[k] = v10;
            out_2__8.at[k] = v17;
        }
        sg_store(out + i1, out_6);
        sg_store(out_1_ + i1, out_1__7);
        sg_store(out_2_ + i1, out_2__8);
    }
    for (int p = n0 / 4 * 4 + blockIdx.x * 256 + threadIdx.x; p < n0; p += gridDim.x * 256) {
        const float v0 = mean[p];
        const float v1 = 0.9f * v0;  // test_cuda_printer.py:39  mean = 0.9 * mean + 0.1 * gradient
        const float v2 = gradient[p];
        const float v3 = 0.1f * v2;
        const float v4 = v1 + v3;
        const float v5 = v4 / 0.1f;  // test_cuda_printer.py:41  step = mean / 0.1 / (sg.sqrt(square / 0.001) + 1e-8)
        const float v6 = square[p];
        const float v7 = 0.999f * v6;  // test_cuda_printer.py:40  square = 0.999 * square + 0.001 * gradient * gradient
        const float v8 = 0.001f * v2;
        const float v9 = v8 * v2;
        const float v10 = v7 + v9;
        const float v11 = v10 / 0.001f;  // test_cuda_printer.py:41  step = mean / 0.1 / (sg.sqrt(square / 0.001) + 1e-8)
        const float v12 = sqrtf(v11);
        const float v13 = v12 + 1e-08f;
        const float v14 = v5 / v13;
        const float v15 = 0.001f * v14;  // test_cuda_printer.py:42  return [parameter - 0.001 * step, mean, square]
        const float v16 = parameter[p];
        const float v17 = v16 - v15;
        out[p] = v4;
        out_1_[p] = v10;
        out_2_[p] = v17;
    }
}
SG_KERNEL(kernel_9049bcf75e261b1a)
