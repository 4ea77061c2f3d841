extern "C" __global__ void __launch_bounds__(256) kernel_57305eb0c45fa9b4(
    const float* __restrict__ x,
    const float* z,
    float* out,
    const int n0,
    const int n1,
    const int x_0_1,
    const int z_1_0,
    const int out_2_0)
{
    const int lane = threadIdx.x % 32;
    __shared__ float x_tile0[32][33];
    for (int p = blockIdx.x; p < ((n0 + 31) / 32) * ((n1 + 31) / 32); p += gridDim.x) {
        const int i1 = p % ((n1 + 31) / 32);
        const int i2 = p / ((n1 + 31) / 32);
        const int i3 = i2 * 32;
        const int i4 = i1 * 32;
        for (int k = threadIdx.x / 32; k < 32; k += 8) {
            if (i3 + lane < n0 && i4 + k < n1) {
                x_tile0[k][lane] = x[(i3 + lane) + (i4 + k) * x_0_1];
            }
        }
        __syncthreads();
        for (int k = threadIdx.x / 32; k < 32; k += 8) {
            if (i3 + k < n0 && i4 + lane < n1) {
                const float v0 = x_tile0[lane][k];
                const float v1 = z[(i3 + k) * z_1_0 + (i4 + lane)];
                const float v2 = v0 + v1;  // test_cuda_printer.py:51  "row_plus_transposed": lambda: [x.T + sg.placeholder("float32", ( ...
                out[(i3 + k) * out_2_0 + (i4 + lane)] = v2;
            }
        }
        __syncthreads();
    }
}
SG_KERNEL(kernel_57305eb0c45fa9b4)
